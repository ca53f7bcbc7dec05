"""The routes of the server, one module for each part of the interface.

Every module has a function `routes` that returns an `APIRouter`, most of them for a `Service`; `mafdn.web.app` includes
them all.
"""
