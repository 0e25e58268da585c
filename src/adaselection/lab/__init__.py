"""The laboratory: tasks, runs, records, statistics and the report behind the command line."""
