"""HDF5 files: listed by h5py in a process of its own, and mapped here."""
