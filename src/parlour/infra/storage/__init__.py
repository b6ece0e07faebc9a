"""Storage: the database behind one small interface, on SQLite or PostgreSQL.

Units of work are short functions over a SQLAlchemy Core connection. They own the rows of a room; this
package owns transactions, durability, and who is asking.
"""
