"""What may be asked, shown to a model and answered: rules, judgements, masked personal data."""
