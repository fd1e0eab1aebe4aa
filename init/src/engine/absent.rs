//! The engine of an image that has none.

use super::{Container, Engine, EngineError, Exit, TaskId, TaskState};

/// Refuses everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Absent;

impl Engine for Absent {
    async fn ready(&self) -> Result<(), EngineError> {
        Err(EngineError::NoEngine)
    }
    async fn inspect(&self, _: &TaskId) -> Result<TaskState, EngineError> {
        Ok(TaskState::Absent)
    }
    async fn create(&self, _: &Container) -> Result<u32, EngineError> {
        Err(EngineError::NoEngine)
    }
    async fn start(&self, _: &TaskId) -> Result<(), EngineError> {
        Err(EngineError::NoEngine)
    }
    async fn wait(&self, _: &TaskId) -> Result<Exit, EngineError> {
        Err(EngineError::NoEngine)
    }
    async fn signal(&self, _: &TaskId, _: u32, _: bool) -> Result<(), EngineError> {
        Ok(())
    }
    async fn delete_task(&self, _: &TaskId) -> Result<(), EngineError> {
        Ok(())
    }
    async fn remove(&self, _: &TaskId) -> Result<(), EngineError> {
        Ok(())
    }
}
