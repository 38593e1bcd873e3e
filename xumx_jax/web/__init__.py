"""The server behind `xumx serve`: jobs over HTTP, for a page, a phone, a script or a program.

Needs the extra `web`. Nothing is separated in another way than on the command line: a job is one
call of `separate_file`.
"""
