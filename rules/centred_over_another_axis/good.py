"""Centred over the axis that is summed, over both, or for a kernel of examples."""

import torch


def kernel(x):
    """x [batch, dim]: products of centred examples"""
    middle = x - x.mean(0)
    return middle @ middle.t()


def places(maps):
    """maps [C, P]: each channel is centred over its places"""
    middle = maps - maps.mean(1, keepdim=True)
    return middle @ middle.t()


def twice(x):
    """x [batch, dim]"""
    middle = x - x.mean(0, keepdim=True)
    middle = middle - middle.mean(1, keepdim=True)
    return middle.t() @ middle


def alike(x):
    """x [batch, dim]: correlations of examples, each over its own features"""
    unit = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
    return unit @ unit.t() / x.size(1)


def projected(x, weight):
    """x [batch, dim], weight [classes, dim]"""
    return (x - x.mean(-1, keepdim=True)) @ weight.t()


def of_channels(signals):
    """signals [channels, times]: the common average is taken away"""
    signals = signals - signals.mean(0)
    return torch.cov(signals)


def unknown_axes(x):
    middle = x - x.mean(1, keepdim=True)
    return middle.t() @ middle


def standardised(x):
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)
