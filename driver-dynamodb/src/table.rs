use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use session_core::{Error, ErrorKind, Idempotency, Result};
use tokio::time::{Instant, timeout_at};

use crate::client::Attempts;
use crate::error::{During, from_sdk, incomplete, out_of_time};
use crate::item::Layout;

/// How long a new table may take to become active. DynamoDB needs some seconds.
pub(crate) const READY: Duration = Duration::from_secs(60);

/// How often the state of a new table is read.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Creates and checks the table when the driver is opened.
pub(crate) struct Table<'t> {
    pub(crate) client: &'t Client,
    pub(crate) name: &'t str,
    pub(crate) layout: &'t Layout,
    pub(crate) attempts: Attempts,
}

impl Table<'_> {
    /// Creates the table if it is missing, waits until it is active, and enables its time to live.
    ///
    /// Any number of processes may do this at the same time.
    pub(crate) async fn ensure(&self) -> Result<()> {
        if self.describe().await?.is_none() {
            self.create().await?;
        }
        let table = self.until_ready().await?;
        self.check_key(&table)?;
        self.ensure_time_to_live().await
    }

    async fn describe(&self) -> Result<Option<TableDescription>> {
        self.run(During::Reading, || async {
            let request = self.client.describe_table().table_name(self.name);
            match request.send().await {
                Ok(response) => Ok(response.table),
                Err(error) => match error.as_service_error() {
                    Some(refusal) if refusal.is_resource_not_found_exception() => Ok(None),
                    _ => Err(from_sdk(error, During::Reading)),
                },
            }
        })
        .await
    }

    async fn create(&self) -> Result<()> {
        let key = &self.layout.key;
        let attribute = AttributeDefinition::builder()
            .attribute_name(key)
            .attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder()
            .attribute_name(key)
            .key_type(KeyType::Hash);
        let request = self
            .client
            .create_table()
            .table_name(self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute.build().map_err(incomplete)?)
            .key_schema(element.build().map_err(incomplete)?);
        // A second attempt finds the table of the first one, or that of another process.
        self.run(During::Writing, || async {
            match request.clone().send().await {
                Ok(_) => Ok(()),
                Err(error) => match error.as_service_error() {
                    Some(refusal) if refusal.is_resource_in_use_exception() => Ok(()),
                    _ => Err(from_sdk(error, During::Writing)),
                },
            }
        })
        .await
    }

    async fn until_ready(&self) -> Result<TableDescription> {
        let started = Instant::now();
        loop {
            if let Some(table) = self.describe().await?
                && matches!(
                    table.table_status,
                    Some(TableStatus::Active | TableStatus::Updating)
                )
            {
                return Ok(table);
            }
            if started.elapsed() > READY {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "the table was not active within a minute; check its state in the console, and try again",
                ));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn check_key(&self, table: &TableDescription) -> Result<()> {
        let key = &self.layout.key;
        let schema = table.key_schema();
        let is_text = table.attribute_definitions().iter().any(|attribute| {
            attribute.attribute_name() == key
                && *attribute.attribute_type() == ScalarAttributeType::S
        });
        match schema {
            [only] if only.attribute_name() == key && is_text => Ok(()),
            _ => Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "the table has the wrong key: it must have a partition key `{key}` of type String, and no sort key; \
                     set another `table`, or correct `attributes.key`"
                ),
            )),
        }
    }

    async fn ensure_time_to_live(&self) -> Result<()> {
        if self.has_time_to_live().await? {
            return Ok(());
        }
        let attribute = &self.layout.expires_at;
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(attribute)
            .enabled(true)
            .build()
            .map_err(incomplete)?;
        let request = self
            .client
            .update_time_to_live()
            .table_name(self.name)
            .time_to_live_specification(specification);
        // It is sent once: a second attempt would be refused if the first was applied.
        let sent = timeout_at(self.attempts.deadline(), request.send()).await;
        let error = match sent.map_err(|_| out_of_time(During::Writing))? {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match error.code() {
            // Another process may have enabled it first.
            Some("ValidationException") if self.has_time_to_live().await? => Ok(()),
            Some("UnknownOperationException") => {
                tracing::warn!(
                    "this server has no time to live: expired entries are hidden, but stay stored"
                );
                Ok(())
            }
            _ => Err(from_sdk(error, During::Writing)),
        }
    }

    /// Sends one request, and again as the retry policy allows, within the time of an operation.
    async fn run<T, F, Running>(&self, during: During, attempt: F) -> Result<T>
    where
        F: Fn() -> Running,
        Running: Future<Output = Result<T>>,
    {
        self.attempts
            .run(
                self.attempts.deadline(),
                Idempotency::Idempotent,
                during,
                attempt,
            )
            .await
    }

    /// Whether the table's time to live is enabled on the attribute of this driver.
    async fn has_time_to_live(&self) -> Result<bool> {
        let described = self
            .run(During::Reading, || async {
                let request = self.client.describe_time_to_live().table_name(self.name);
                request
                    .send()
                    .await
                    .map_err(|error| from_sdk(error, During::Reading))
            })
            .await?;
        let Some(description) = described.time_to_live_description() else {
            return Ok(false);
        };
        if !matches!(
            description.time_to_live_status(),
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
        ) {
            return Ok(false);
        }
        let attribute = description.attribute_name().unwrap_or_default();
        if attribute == self.layout.expires_at {
            return Ok(true);
        }
        Err(Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "the table's time to live is on the attribute `{attribute}`; set `attributes.expires_at` to it, or \
                 move it to `{}`",
                self.layout.expires_at
            ),
        ))
    }
}
