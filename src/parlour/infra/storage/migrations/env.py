"""Runs migrations on the connection that the caller hands in."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], transaction_per_migration=False, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
