"""What people look at after a run: the report, tables, and any architecture by command."""
