"""Pages for people on the API's port: what is at risk and why, what goes wrong now, and what to do; they read documents and history."""
