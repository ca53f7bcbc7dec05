"""Pictures of the page, taken in a browser that tests use too; `python -m tools.screenshots` takes them."""
