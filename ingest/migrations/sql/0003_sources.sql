-- What each source is, as data: SQL asks for the kind, never for a source's name. Mirrored from the contracts by every landing;
-- filled here as well, for files that landed before.

create table raw.sources (
    source text not null,
    record_type text not null,
    kind text not null check (kind in ('psp', 'bank', 'rail')),
    -- Whom the source speaks for; a bank speaks for nobody but the account holder.
    provider text,
    scale text not null check (scale in ('api_minor', 'major_decimal', 'x100_always', 'six_decimals')),
    sign_rule text not null check (sign_rule in ('signed', 'dr_cr', 'debit_credit_columns')),
    time_zone text not null,
    currency_case text not null check (currency_case in ('any', 'upper', 'lower')),
    primary key (source, record_type),
    check (kind <> 'bank' or provider is null)
);

insert into raw.sources (source, record_type, kind, provider, scale, sign_rule, time_zone, currency_case)
values
    ('stripe_report', 'payout_reconciliation', 'psp', 'stripe', 'major_decimal', 'signed', 'UTC', 'any'),
    ('stripe_report', 'payouts', 'psp', 'stripe', 'major_decimal', 'signed', 'UTC', 'any'),
    ('camt053', 'statements', 'bank', null, 'major_decimal', 'dr_cr', 'UTC', 'upper'),
    ('camt053', 'lines', 'bank', null, 'major_decimal', 'dr_cr', 'UTC', 'upper');

-- A bank is no provider. Files that landed before say `bank` here and stay as they are: raw is written once.
alter table raw.files alter column provider drop not null;

-- A claim is a provider's and holds for the lines of every bank; `purpose` says what it means when its pattern is found.
alter table raw.bank_claims
    add column purpose text not null default 'ownership' check (purpose in ('ownership', 'payout_reference')),
    drop constraint bank_claims_pkey,
    add primary key (source, provider, field, pattern, purpose);

delete from raw.bank_claims where source = 'camt053';
insert into raw.bank_claims (source, provider, field, pattern, purpose)
values
    ('stripe_report', 'stripe', 'counterparty_name', '(^|[^a-z0-9])stripe([^a-z0-9]|$)', 'ownership'),
    ('stripe_report', 'stripe', 'remittance', '(^|[^a-z0-9])(stripe([^a-z0-9]|$)|po_[a-z0-9]{6,})', 'ownership'),
    ('stripe_report', 'stripe', 'remittance', '(^|[^a-z0-9])po_[a-z0-9]', 'payout_reference'),
    ('stripe_report', 'stripe', 'additional_info', '(^|[^a-z0-9])po_[a-z0-9]', 'payout_reference');

grant select on raw.sources to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant insert, update, delete on raw.sources to counterfoil_writer;
