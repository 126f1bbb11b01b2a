"""``channels-bridge migrate``: what becomes of a Channels 1 project's code, told by its syntax trees.

``scanning`` is the entrance. ``files`` finds what is to be read, ``modules`` reads it; what a name stands for is known
by ``scopes`` in a file, by ``project`` across files. ``channels1``, ``others`` and ``djangos`` are tables: name -> what
becomes of it.
"""
