namespace ValueCanvas.Core;
