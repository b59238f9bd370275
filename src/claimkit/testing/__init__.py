"""What plugin authors and hosts test with: conformance suites, factories, synthetic claims."""
