"""What may help a space, one remedy a file; whether it does is measured by a check-up, on pairs it has not seen."""
