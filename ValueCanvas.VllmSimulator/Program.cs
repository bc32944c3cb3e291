using ValueCanvas.VllmSimulator;

SimulatorApp.Create(args).Run();
