"""Known wrong losses, as tables. `ALL` is in the order in which they are tried."""

from __future__ import annotations

from .axes import AXES
from .broadcast import BROADCAST
from .candidates import CANDIDATES
from .chunks import ALL as CHUNKS
from .crossed import CROSSED
from .order import ORDER
from .targets import TARGETS
from .united import UNITED
from .views import TWO_VIEWS

ALL = (*CROSSED, *TARGETS, *AXES, *BROADCAST, *ORDER, *CANDIDATES, *TWO_VIEWS, *UNITED, *CHUNKS)
