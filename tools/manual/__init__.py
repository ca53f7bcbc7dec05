"""The manual: pages that are made of definitions, and the hooks of MkDocs that add them to `docs`."""
