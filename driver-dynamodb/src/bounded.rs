use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// A limit above the largest response of DynamoDB: 16 MB of items, each byte of which may need six in JSON.
const MAX_RESPONSE: usize = 128 * 1024 * 1024;

/// Limits the size of a response, which the SDK does not.
#[derive(Debug)]
pub(crate) struct BoundedResponses;

impl Intercept for BoundedResponses {
    fn name(&self) -> &'static str {
        "BoundedResponses"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let unbounded = std::mem::replace(body, SdkBody::taken());
        *body = unbounded.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_RESPONSE)));
        Ok(())
    }
}
