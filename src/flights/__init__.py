"""Will this flight from New York arrive more than 15 minutes late? Asked before it departs, of 336,776 flights of 2013."""
