"""One client of OVSDB servers: remotes, TLS, session, replica, transactions, locks."""
