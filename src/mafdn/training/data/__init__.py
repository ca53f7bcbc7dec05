"""Training data: banks of pictures, teachers' results, patches and batches."""
