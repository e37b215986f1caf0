"""What Bilag costs, measured beside what it could be compared with: ``make bench``.

One file per question. Each figure stands beside a limit or a peer that was measured on the same server in the same
minutes, because only the ratio survives a change of machine.
"""
