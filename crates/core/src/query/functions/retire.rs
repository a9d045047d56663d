//! `retire_partition_by_file(path)`, `retire_partition_by_metadata(…)`: single partitions taken away by hand.
//!
//! Each row is done by itself, and says what came of it: one that names no partition takes nothing back from the others.

use crate::error::Error;
use crate::partitions::Retired;
use crate::query::Argument;
use crate::query::QueryContext;
use crate::query::SqlFunction;
use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use async_trait::async_trait;
use belvedere_lake::PartitionRecord;
use belvedere_lake::access::Right;
use belvedere_model::time::{parse_rfc3339, to_rfc3339};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

crate::register_functions! {
    SqlFunction::scalar("retire_partition_by_file(path)", |context| retire(By::File, context))
        .about(
            "Removes the partition with that file (file_path of list_partitions()). Queries then decode \
             its rows from the blocks. Returns a message that starts with SUCCESS or ERROR.",
        )
        .needs(Right::Administer),
    SqlFunction::scalar("retire_partition_by_metadata(view_set, instance, begin, end[, schema_hash])", |context| retire(By::Metadata, context))
        .about(
            "Removes the partition of that view instance with exactly these insert times, as in \
             list_partitions(): timestamps, or RFC 3339 strings. With a schema hash, only if the \
             partition has that schema.",
        )
        .needs(Right::Administer),
}

/// How partitions are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum By {
    File,
    Metadata,
}

fn retire(by: By, context: &QueryContext) -> ScalarUDF {
    AsyncScalarUDF::new(Arc::new(Retire {
        by,
        context: context.clone(),
        signature: match by {
            By::File => Signature::any(1, Volatility::Volatile),
            // the schema hash may be left out
            By::Metadata => {
                Signature::one_of(vec![TypeSignature::Any(4), TypeSignature::Any(5)], Volatility::Volatile)
            }
        },
    }))
    .into_scalar_udf()
}

#[derive(Debug)]
struct Retire {
    by: By,
    context: QueryContext,
    signature: Signature,
}

// within one query there is one of each
impl PartialEq for Retire {
    fn eq(&self, other: &Self) -> bool {
        self.by == other.by
    }
}

impl Eq for Retire {}

impl Hash for Retire {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.by.hash(state);
    }
}

impl ScalarUDFImpl for Retire {
    fn name(&self) -> &str {
        match self.by {
            By::File => "retire_partition_by_file",
            By::Metadata => "retire_partition_by_metadata",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        for (position, found) in types.iter().enumerate() {
            if position == 4 {
                if matches!(found, DataType::Binary | DataType::BinaryView | DataType::LargeBinary) {
                    continue;
                }
                return Err(DataFusionError::Plan(format!(
                    "{}: argument 5 must be a schema hash as in list_partitions(), not {found}",
                    self.name()
                )));
            }
            let may_be_time = position >= 2;
            let fits = Argument::is_text(found) || (may_be_time && is_utc(found));
            if !fits {
                let needed =
                    if may_be_time { "an RFC 3339 string or a timestamp in UTC" } else { "a string" };
                return Err(DataFusionError::Plan(format!(
                    "{}: argument {} must be {needed}, not {found}",
                    self.name(),
                    position + 1
                )));
            }
        }
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(format!("{} waits for the lake", self.name())))
    }
}

/// A timestamp in UTC, of whatever unit.
fn is_utc(found: &DataType) -> bool {
    match found {
        DataType::Timestamp(_, zone) => matches!(zone.as_deref(), None | Some("+00:00" | "UTC" | "Z")),
        _ => false,
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Retire {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut said: Vec<Option<String>> = Vec::with_capacity(args.number_rows);
        match self.by {
            By::File => {
                let columns = Argument::texts(&args)?;
                for path in columns.iter().flat_map(|paths| paths.as_string::<i32>().iter()) {
                    said.push(match path {
                        Some(path) => Some(self.by_file(path).await?),
                        None => None,
                    });
                }
            }
            By::Metadata => {
                let columns =
                    args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
                let [sets, instances, begins, ends, hashes @ ..] = columns.as_slice() else {
                    return Err(DataFusionError::Internal(format!("{} takes four arguments", self.name())));
                };
                let hashes = hashes.first().map(|hashes| cast(hashes, &DataType::Binary)).transpose()?;
                let (sets, instances) = (cast(sets, &DataType::Utf8)?, cast(instances, &DataType::Utf8)?);
                // all of them before anything is taken away
                let (begins, ends) = (self.times(begins)?, self.times(ends)?);
                let names = sets.as_string::<i32>().iter().zip(instances.as_string::<i32>().iter());
                for (row, ((set, instance), (begin, end))) in
                    names.zip(begins.into_iter().zip(ends)).enumerate()
                {
                    let hash = hashes.as_ref().map(|hashes| hashes.as_binary::<i32>());
                    let hash = hash.filter(|hashes| hashes.is_valid(row)).map(|hashes| hashes.value(row));
                    said.push(match (set, instance, begin, end) {
                        (Some(set), Some(instance), Some(begin), Some(end)) => {
                            Some(self.by_metadata(set, instance, (begin, end), hash).await?)
                        }
                        _ => None,
                    });
                }
            }
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(said))))
    }
}

impl Retire {
    /// Times in nanoseconds since the Unix epoch.
    fn times(&self, column: &ArrayRef) -> Result<Vec<Option<i64>>> {
        if is_utc(column.data_type()) {
            let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()));
            // a time that does not fit is an error, not a NULL
            let options = CastOptions { safe: false, ..CastOptions::default() };
            let times = cast_with_options(column, &nanoseconds, &options)?;
            return Ok(times.as_primitive::<TimestampNanosecondType>().iter().collect());
        }
        let texts = cast(column, &DataType::Utf8)?;
        let parse = |text: &str| {
            parse_rfc3339(text).map_err(|e| DataFusionError::Execution(format!("{}: {e}", self.name())))
        };
        texts.as_string::<i32>().iter().map(|text| text.map(parse).transpose()).collect()
    }

    async fn by_file(&self, path: &str) -> Result<String> {
        let found =
            self.context.connection().catalog().partitions_with_file(path).await.map_err(Error::from)?;
        self.retire(&found, path).await
    }

    /// Those of that schema, if a hash is given; all, if not.
    async fn by_metadata(
        &self,
        set: &str,
        instance: &str,
        times: (i64, i64),
        schema_hash: Option<&[u8]>,
    ) -> Result<String> {
        let catalog = self.context.connection().catalog();
        let mut found = catalog.partitions_inserted(set, instance, times).await.map_err(Error::from)?;
        found.retain(|partition| schema_hash.is_none_or(|hash| partition.content.schema_hash == hash));
        let name = format!("{set}/{instance} [{}, {})", to_rfc3339(times.0), to_rfc3339(times.1));
        self.retire(&found, &name).await
    }

    /// Retires those that are still there, and says what came of it.
    async fn retire(&self, partitions: &[PartitionRecord], name: &str) -> Result<String> {
        let builder = self.context.partition_builder();
        let mut is_gone = false;
        for partition in partitions {
            match builder.retire_unless_last_copy(partition).await? {
                Retired::Gone(is_new) => is_gone |= is_new,
                Retired::Kept(why) => {
                    return Ok(format!("ERROR: Partition {name} is the last copy of its rows: {why}"));
                }
            }
        }
        Ok(match is_gone {
            true => format!("SUCCESS: Retired partition {name}"),
            false => format!("ERROR: Partition not found: {name}"),
        })
    }
}
