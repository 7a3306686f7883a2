"""Contract suites and fakes that third-party backends, environments and stores reuse."""
