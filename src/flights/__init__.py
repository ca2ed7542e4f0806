"""Will this flight arrive more than 15 minutes late? Asked before it leaves New York, 336,776 times in 2013."""
