-- Debits equal credits in every currency.
select trial.currency, sum(trial.debits_minor) as debits_minor, sum(trial.credits_minor) as credits_minor
from {{ ref('fct_trial_balance') }} as trial
group by trial.currency
having sum(trial.debits_minor) <> sum(trial.credits_minor)
