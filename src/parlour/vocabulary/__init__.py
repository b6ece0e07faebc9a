"""The words every floor shares: plain frozen values that import nothing of ours."""
