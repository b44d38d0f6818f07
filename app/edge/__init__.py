"""What stands between a socket and the routes: TLS, how often one may ask, logins of browsers, and what pages may do."""
