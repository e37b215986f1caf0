"""`make demo`: a whole installation on this machine for a minute, from approved claims to booked vouchers.

stage       a throw-away Postgres, the fake accounting systems and a worker, all real processes
show        progress bars, the table at the end
__main__    the play: claims are loaded, exported by RPC and by a pg_cron schedule, and counted in the ledger
"""
