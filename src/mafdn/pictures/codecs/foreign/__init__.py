"""Picture files that other libraries than libvips decode: whole, into arrays."""
