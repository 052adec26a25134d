"""Keep what the server knows: the database and one module of queries per topic.

Every SQL statement of the server stands in this package; a query on owned rows takes the owner.
"""

from oxoflow.db.connection import Database, DatabaseTrouble

__all__ = ["Database", "DatabaseTrouble"]
