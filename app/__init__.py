"""The service: takes OpenTelemetry in, keeps it, predicts, and answers over REST and the command line."""
