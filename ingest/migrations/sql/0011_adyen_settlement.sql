-- What `adyen_settlement` brings, as it came; printed by `python -m ingest.ddl adyen_settlement`.

create table raw.adyen_settlement_items (
    file_id uuid not null,
    ordinal integer not null check (ordinal > 0),
    row_sha256 bytea not null,
    company_account text,
    merchant_account text,
    psp_reference text,
    merchant_reference text,
    payment_method text,
    creation_date text,
    timezone text,
    type text,
    modification_reference text,
    gross_currency text,
    gross_debit_gc text,
    gross_credit_gc text,
    exchange_rate text,
    net_currency text,
    net_debit_nc text,
    net_credit_nc text,
    commission_nc text,
    markup_nc text,
    scheme_fees_nc text,
    interchange_nc text,
    payment_method_variant text,
    modification_merchant_reference text,
    batch_number text,
    reserved4 text,
    reserved5 text,
    reserved6 text,
    reserved7 text,
    reserved8 text,
    reserved9 text,
    reserved10 text,
    booking_date text,
    booking_date_timezone text,
    booking_date_ams text,
    balance_currency text,
    net_debit_bc text,
    net_credit_bc text,
    payment_fees_nc text,
    gross_fees_nc text,
    dcc_markup_nc text,
    advanced_nc text,
    advancement_code text,
    advancement_batch text,
    booking_type text,
    additional_type text,
    register_booking_type text,
    funds_destination text,
    balance_platform_debit text,
    balance_platform_credit text,
    split_settlement text,
    split_payment_data text,
    settlement_flow text,
    acquirer text,
    acquirer_reference text,
    acquirer_auth_code text,
    authorisation_code text,
    authorised_date text,
    authorised_date_timezone text,
    arn text,
    clearing_network text,
    dispute_reference text,
    global_card_brand text,
    gratuity_amount text,
    surcharge_amount text,
    installments text,
    issuer_country text,
    shopper_country text,
    shopper_reference text,
    merchant_order_reference text,
    mid text,
    payment_transaction_group text,
    pos_transaction_date text,
    pos_transaction_date_timezone text,
    store text,
    store_code text,
    submerchant_identifier text,
    tender_reference text,
    terminal_id text,
    card_bin text,
    card_number text,
    card_number_summary text,
    extra jsonb not null default '{}',
    primary key (file_id, ordinal)
);

create trigger written_once before update or delete or truncate on raw.adyen_settlement_items
    for each statement execute function raw.refuse_change();

grant select on raw.adyen_settlement_items
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
grant insert on raw.adyen_settlement_items to counterfoil_writer;

-- How far east of UTC a label beside a time is, as `ingest/contract/zones.py` has it: of a label that several zones share in the
-- zone that was chosen for the file. Null for the name of a zone. Not data but code: so it is planned into what reads it.
create function raw.zone_offset(label text, zone text) returns interval
    language sql immutable parallel safe
    return make_interval(mins => case label
        when 'ACDT' then 630 when 'ACST' then 570 when 'ADT' then -180 when 'AEDT' then 660 when 'AEST' then 600
        when 'AKDT' then -480 when 'AKST' then -540 when 'ART' then -180 when 'AWST' then 480 when 'BRST' then -120
        when 'BRT' then -180 when 'BST' then 60 when 'CAT' then 120 when 'CDT' then -300 when 'CEST' then 120
        when 'CET' then 60 when 'CLST' then -180 when 'CLT' then -240 when 'COT' then -300 when 'EAT' then 180
        when 'EDT' then -240 when 'EEST' then 180 when 'EET' then 120 when 'EST' then -300 when 'GMT' then 0
        when 'GST' then 240 when 'HKT' then 480 when 'HST' then -600 when 'ICT' then 420 when 'IDT' then 180
        when 'JST' then 540 when 'KST' then 540 when 'MDT' then -360 when 'MSK' then 180 when 'MST' then -420
        when 'MYT' then 480 when 'NDT' then -150 when 'NST' then -210 when 'NZDT' then 780 when 'NZST' then 720
        when 'PDT' then -420 when 'PET' then -300 when 'PKT' then 300 when 'PST' then -480 when 'SAST' then 120
        when 'SGT' then 480 when 'TRT' then 180 when 'UTC' then 0 when 'UYT' then -180 when 'WAT' then 60
        when 'WEST' then 60 when 'WET' then 0 when 'WIB' then 420
        when 'AST' then case zone
            when 'America/Bermuda' then -240 when 'America/Halifax' then -240 when 'America/Puerto_Rico' then -240
            when 'America/Santo_Domingo' then -240 when 'Asia/Baghdad' then 180 when 'Asia/Bahrain' then 180
            when 'Asia/Kuwait' then 180 when 'Asia/Qatar' then 180 when 'Asia/Riyadh' then 180
        end
        when 'CST' then case zone
            when 'America/Chicago' then -360 when 'America/Costa_Rica' then -360 when 'America/El_Salvador' then -360
            when 'America/Guatemala' then -360 when 'America/Mexico_City' then -360 when 'America/Monterrey' then -360
            when 'America/Regina' then -360 when 'America/Winnipeg' then -360 when 'Asia/Shanghai' then 480
            when 'Asia/Taipei' then 480
        end
        when 'IST' then case zone
            when 'Asia/Calcutta' then 330 when 'Asia/Jerusalem' then 120 when 'Asia/Kolkata' then 330
            when 'Europe/Dublin' then 60
        end
        else case when label ~ '^(GMT|UTC)?[+-](0\d|1[0-4]):[0-5]\d$' then
            (case when label like '%-%' then -1 else 1 end)
            * (left(right(label, 5), 2)::integer * 60 + right(label, 2)::integer)
        end
    end);

-- The instant of a time beside which its zone stands.
create function raw.zoned_instant(written timestamp, label text, zone text) returns timestamptz
    language sql immutable parallel safe
    return coalesce((written - raw.zone_offset(label, zone)) at time zone 'UTC', written at time zone label);

grant execute on function raw.zone_offset(text, text), raw.zoned_instant(timestamp, text, text)
    to counterfoil_writer, counterfoil_reader, counterfoil_dbt, counterfoil_dagster, counterfoil_auditor;
