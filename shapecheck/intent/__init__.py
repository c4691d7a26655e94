"""Finding the shapes that authors write down: in comments, docstrings, annotations and assertions.

Everything here goes from text, or from an expression of the program tree, to records. None of it knows what the code
computes; that comparison is made where both are known.
"""

from shapecheck.intent.annotations import Ann, from_annotation
from shapecheck.intent.asserts import Asserted, from_assert, from_commented_assert
from shapecheck.intent.comments import from_comment
from shapecheck.intent.docstrings import from_docstring
from shapecheck.intent.notation import as_meant
from shapecheck.intent.phrases import from_phrases
from shapecheck.intent.vocabulary import axis_score
from shapecheck.intent.written import RETURN, Written

__all__ = [
    "RETURN",
    "Ann",
    "Asserted",
    "Written",
    "as_meant",
    "axis_score",
    "from_annotation",
    "from_assert",
    "from_comment",
    "from_commented_assert",
    "from_docstring",
    "from_phrases",
]
