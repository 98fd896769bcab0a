"""Status conditions and Events of objects, and the work queue that writes them."""
