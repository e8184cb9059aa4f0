//! Random programs, compared with a model of the contract.

use super::cases;
use crate::context::Context;
use crate::failure::CaseResult;
use crate::model::{Focus, run};

cases! {
    random_programs_on_hostile_keys_follow_the_model []: "every method treats a key as its bytes";
    random_programs_with_hostile_values_follow_the_model []: "every method keeps a value byte for byte, and its version with it";
    random_programs_with_every_expiry_follow_the_model []: "every method keeps an expiry, reports it and heeds it";
    random_programs_of_batches_and_conditions_follow_the_model []: "a batch does what its parts do, and conditions hold in every method";
}

async fn random_programs_on_hostile_keys_follow_the_model(context: Context) -> CaseResult {
    run(context, Focus::Keys).await
}

async fn random_programs_with_hostile_values_follow_the_model(context: Context) -> CaseResult {
    run(context, Focus::Values).await
}

async fn random_programs_with_every_expiry_follow_the_model(context: Context) -> CaseResult {
    run(context, Focus::Expiry).await
}

async fn random_programs_of_batches_and_conditions_follow_the_model(
    context: Context,
) -> CaseResult {
    run(context, Focus::Batches).await
}
