-- Wraps every check: how many rows offend, and some of them.
with offenders(it) as materialized (:check)
select count(*), array(select it from offenders limit 5) from offenders
