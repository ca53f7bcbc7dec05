"""Processes beside the server: engines, and viewers that read headers and draw previews.

They run as `python -m mafdn.web.processes.engine` and `.viewer`, are told what to do by lines of JSON on standard input
and answer on standard output. They end when the server does, however it ends.
"""
