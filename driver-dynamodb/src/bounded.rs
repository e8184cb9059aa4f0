use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// More than any answer of DynamoDB can have: 16 MB of items, of which each byte may stand as six in JSON.
const MAX_ANSWER: usize = 128 * 1024 * 1024;

/// Ends the reading of an answer that is longer than any of DynamoDB's; the SDK would read it to its end.
#[derive(Debug)]
pub(crate) struct BoundedAnswers;

impl Intercept for BoundedAnswers {
    fn name(&self) -> &'static str {
        "BoundedAnswers"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let unbounded = std::mem::replace(body, SdkBody::taken());
        *body = unbounded.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_ANSWER)));
        Ok(())
    }
}
