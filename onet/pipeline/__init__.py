"""What the command line does, as functions: the same words, the same files, the same defaults.

Commands that need nothing besides a function of a lower room are not here: `onet.prepare`, for
instance, is that of `onet.data.prepare`.
"""
