"""A store of few files: shards that are tar archives, and an index of what lies where in them.

    ROOT/metadata.yaml, failures.csv            as in any store
    ROOT/CATEGORY/{train,val,test}.lst          as in any store
    ROOT/shards/00000.tar, 00001.tar, ...       CATEGORY/MODEL/FILE, byte for byte
    ROOT/index.sqlite                           of each item its files and their arrays

Every program that reads tar reads a shard. Files of an item lie in it uncompressed, and so do the
arrays of an npz file that `numpy.savez` wrote: they are used where they lie, in mapped memory, so a
batch reads no more than the pages of the rows that it draws. Arrays of compressed npz files lie
unpacked beside them, under `FILE.arrays/KEY`; names that end in that are of this package only.

A shard never changes once it has its name, and the index names an item only when its shard is
there: a command that is killed loses the shard that it was writing, and is simply repeated.
"""
