//! Functions that are there, but not for whoever asks: naming one is an error that says which right it needs.

use arrow::datatypes::DataType;
use belvedere_lake::access::Refused;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// In place of a function in FROM.
#[derive(Debug)]
pub(super) struct RefusedTable(pub(super) Refused);

impl TableFunctionImpl for RefusedTable {
    fn call_with_args(&self, _: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        Err(error(&self.0))
    }
}

/// In place of a function of one value.
pub(super) fn refused_scalar(name: &str, refused: Refused) -> ScalarUDF {
    let signature = Signature::variadic_any(Volatility::Volatile);
    ScalarUDF::new_from_impl(RefusedScalar { name: name.to_owned(), refused, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RefusedScalar {
    name: String,
    refused: Refused,
    signature: Signature,
}

impl ScalarUDFImpl for RefusedScalar {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(error(&self.refused))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(error(&self.refused))
    }
}

fn error(refused: &Refused) -> DataFusionError {
    DataFusionError::External(Box::new(refused.clone()))
}
