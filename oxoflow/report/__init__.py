"""Tell what a workflow is and what a run did, as data and as a page; reads no disk."""
