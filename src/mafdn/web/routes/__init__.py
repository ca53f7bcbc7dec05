"""The routes of the server, one module for each part of the interface.

Every module has a function `routes(server: Server) -> APIRouter`; `mafdn.web.app` includes them all.
"""
