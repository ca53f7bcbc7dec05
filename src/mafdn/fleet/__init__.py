"""Many pictures on one or many machines: from and to folders and object stores, on Ray Data."""
