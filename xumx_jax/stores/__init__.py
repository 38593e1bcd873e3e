"""Files in object stores and on web servers: s3://, gs://, az://, https:// and all fsspec knows.

What fsspec needs for a kind of store is used if it is installed (s3fs, gcsfs, adlfs); without it,
obstore serves, which the extra `cluster` brings. Credentials and endpoints are found as these find
them, mostly in variables of the environment.

There is no rename in an object store: a file is there once it has been uploaded as a whole, and
several files belong together once a last one says so.

urls         what a URL tells without being opened
access       reading, writing and listing
stored_file  a file that is read block by block
"""

from xumx_jax.stores.access import (
    EXTRA,
    entries,
    exists,
    filesystem,
    read,
    remove,
    search,
    told,
    upload,
    write,
)
from xumx_jax.stores.stored_file import StoredFile, tag_of
from xumx_jax.stores.urls import is_url, join, name_of, shown

__all__ = [
    "EXTRA",
    "StoredFile",
    "entries",
    "exists",
    "filesystem",
    "is_url",
    "join",
    "name_of",
    "read",
    "remove",
    "search",
    "shown",
    "tag_of",
    "told",
    "upload",
    "write",
]
