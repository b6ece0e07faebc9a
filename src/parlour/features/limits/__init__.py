"""What people may use and what it cost: rates a minute, budgets a day and a month, the ledger."""
