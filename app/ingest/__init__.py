"""From a socket to the durable log: OTLP over HTTP and gRPC is decoded to Batches, appended and answered."""
